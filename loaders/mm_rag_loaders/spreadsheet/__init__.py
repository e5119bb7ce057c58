"""Spreadsheets: cells as they are shown, row by row, and tables of rows with their header.

From the file to segments:

spreadsheet_loader   chooses a reader, and makes segments of passages and of pictures of sheets
xlsx, opendocument, values
                     the file -> sheets and their rows (`sheet`)
    number_format    a number and its format -> what a cell shows
sheet_tables         rows -> tables with titles and headers -> passages
"""

from __future__ import annotations

from mm_rag_loaders.spreadsheet.spreadsheet_loader import SpreadsheetLoader

__all__ = ["SpreadsheetLoader"]
