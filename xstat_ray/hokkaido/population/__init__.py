"""Mobile Spatial Statistics: how many people are where by the hour, from one operator's tables."""
