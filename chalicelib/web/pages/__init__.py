"""One module per page; each function takes a Visit and gives a View, or a Reply of its own."""
