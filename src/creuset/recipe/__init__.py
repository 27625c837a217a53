"""What is trained, on what, and how: YAML in, frozen and checked sections out, every value with its origin.

source finds and reads the file, composer turns its text into a tree (tree) with places, settings does the
same for `--set`; resolve checks the whole against sections, in the words of wording; resolved is the result,
and render writes it back; schema describes it to editors.
"""
