"""Mobile Spatial Statistics: how many people are where, hour by hour, from one operator's tables."""
