"""What makes the reference from code (`python -m docs.making`) and the website from all pages (`site`)."""
