"""Pictures of the documents, and the code that draws them."""
