"""The noise of a release, drawn jointly so that no role knows it."""
