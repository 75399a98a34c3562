"""Pure decisions: values in, values out. No module here calls AWS, reads a clock or writes a log."""
