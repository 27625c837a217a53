"""What a person sees of a run: charts, sheets of pictures, and one self-contained HTML document.

This package knows nothing of runs. A caller builds a `Document` out of chapters and blocks (blocks.py) and
hands it to `render` or `write_report` (document.py). Charts are inline SVG made here, without a library
(charts/); pictures become one PNG a sheet (sheet.py). The same input gives the same bytes.
"""
