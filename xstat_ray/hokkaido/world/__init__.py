"""A synthetic Hokkaido: people, their journeys, and the tables of an operator and an airline."""
