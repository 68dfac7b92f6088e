"""A synthetic Hokkaido: people, their days and journeys, and the tables that an operator and an airline would have."""
