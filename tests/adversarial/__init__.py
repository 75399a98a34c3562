"""What somebody sends who wants to get in, to confuse, or to make it choke."""
