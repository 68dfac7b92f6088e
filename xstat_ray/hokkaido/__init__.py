"""An application: a made-up Hokkaido, its population statistics, where transport is missing, and the map of it."""
