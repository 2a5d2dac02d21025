"""Cal.com over HTTP: one guarded seam, small typed endpoint groups, wire models checked on the way in."""
