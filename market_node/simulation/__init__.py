"""The market without a chain: the same pure functions as the node's, over thousands of owners and many rounds."""
