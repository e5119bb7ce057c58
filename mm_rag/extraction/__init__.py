"""Extract words from pictures (OCR), recordings (speech, subtitles) and videos (both)."""
