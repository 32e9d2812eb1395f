"""The forms that a corpus can be exported to; a module's name is the word after `--to`.

A module defines `TAKES`, the options it accepts besides the usual ones; `parts(asked)`, its files with their rows; and
`settings(asked, files)`, the name and text of the file with the trainer's settings for them.
"""
