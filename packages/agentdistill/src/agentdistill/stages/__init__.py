"""The stages of a run: collect, filter, train, evaluate, report. They meet through files alone."""
