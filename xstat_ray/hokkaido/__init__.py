"""An application: a synthetic Hokkaido, its population, its needs of transport, and the map."""
