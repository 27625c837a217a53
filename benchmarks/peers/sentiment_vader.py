"""VADER's compound score of each text: a JSON list in, a JSON object out (sentiment_against_vader.py)."""

import importlib.metadata
import json
import sys

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

analyzer = SentimentIntensityAnalyzer()
found = [analyzer.polarity_scores(text)["compound"] for text in json.load(sys.stdin)]
print(json.dumps({"compounds": found, "version": importlib.metadata.version("vaderSentiment")}))
