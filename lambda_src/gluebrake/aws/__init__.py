"""The only modules that call AWS. Each validates the responses of AWS before it returns them."""
