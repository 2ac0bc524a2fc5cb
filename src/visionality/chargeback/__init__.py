"""From rows to the documents that finance sends."""
