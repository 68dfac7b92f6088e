"""What people bring, read and checked: study files, ids, times, domains and tables."""
