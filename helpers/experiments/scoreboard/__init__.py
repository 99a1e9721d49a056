"""Every codec of the book on every modality, in one table."""
