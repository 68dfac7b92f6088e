"""Readers and checks of what people bring: study files, ids, times, domains and tables."""
