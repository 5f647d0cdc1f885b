"""What is stored: records in SQL, files by content or by run."""
