"""What is kept: records in SQL, files by content or by run."""
