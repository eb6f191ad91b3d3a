"""Our models measured on data of the user's own: files in, figures out, nothing kept."""
