heading-usage = Usage:
heading-commands = Commands
heading-options = Options

help = jpkise: JPKI on a secure element, from an empty chip to a verified signature
help-demo = Runs the whole chain: security domain, applet, keys, certificates, signatures, and what must fail
help-sim = Runs the simulated GP-SE as a virtual PC/SC card until Ctrl-C
help-readers = Lists readers and the cards in them
help-doctor = Checks reader, driver, service, permissions, card and applet, and says what to do next
help-trace = Recorded exchanges
help-trace-show = Shows a recorded trace in readable form

arg-reader = Reader: its name, a part of it, or its index in "jpkise readers" (environment: JPKISE_READER)
arg-trace = Record every APDU to FILE as JSON lines; secrets are named, never written
arg-json = Print one JSON object on standard output
arg-lang = Language of messages: ja or en (default: the locale; environment: JPKISE_LANG)
arg-lab = Allow the public test keys and a test certificate authority on a real card
arg-yes = Answer every question with yes
arg-verbose = Show the exchanged APDUs on standard error
arg-out = Folder for certificates, signatures, trace and summary (default: demo-out)
arg-token = Token profile: phone (authentication certificate behind the PIN) or card (free to read); default: phone
arg-vpcd = Where vpcd listens (default: localhost:35963)
arg-personalized = Install the JPKI applet with test certificates before the card is offered
arg-file = The recorded trace
arg-help = Print this help
arg-version = Print the version
