"""The browser screen: everything here lays out, listens and shows; nothing computes."""
