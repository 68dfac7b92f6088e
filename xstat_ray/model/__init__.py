"""What the parties agree on (studies, periods, shards, the row tree) and what crosses between them (messages)."""
