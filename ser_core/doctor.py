"""The corpus doctor: what is missing, damaged, doubled or misnamed in a folder that holds a corpus, and what that does to a score."""
