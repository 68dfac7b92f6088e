"""What the parties agree on and what crosses between them.

Studies, periods, shards and the row tree are agreed; messages cross.
"""
