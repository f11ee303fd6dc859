"""What is done, one file per stage; `order` is the table of contents."""
