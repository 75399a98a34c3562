"""Pure decisions: values in, values out. No module here talks to AWS, reads a clock or logs."""
