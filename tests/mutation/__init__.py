"""Whether the tests notice when the code is changed, one small thing at a time."""
