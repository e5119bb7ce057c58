"""Reading: the words on a picture, in a recording, in a video; each medium is read once."""
