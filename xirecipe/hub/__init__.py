"""What is published: the dataset card, its metadata, and the release folder."""
