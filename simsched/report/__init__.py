"""What users see of a result: terminal table, JSON document, HTML dashboard, files."""
