"""The pages: one thin module each, with `render(context)`; queries and charts live elsewhere."""
