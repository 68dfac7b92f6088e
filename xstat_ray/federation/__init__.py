"""Three trust domains that share nothing but a place for files: two parties and the aggregator."""
