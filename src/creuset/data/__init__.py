"""From files to batches: sources are read, split by content, and handed out as tensors (`load.py`)."""
