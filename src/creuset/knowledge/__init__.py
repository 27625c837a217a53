"""Documents of one's own: parsed, cut, stored, searched, and answered from with proved citations."""
