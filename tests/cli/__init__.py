"""The operator's command: pure parts by themselves, the rest against AWS over a socket."""
