"""Other people's weights in networks of our own."""
