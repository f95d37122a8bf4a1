error-prefix = error:
yes-no = [y/N]
ok = OK
ng = NG

reader-line = { $index }  { $name }  { $card }
card-none = no card
card-present = card, ATR { $atr }
card-mute = a card that does not answer
readers-watching = Watching readers and cards until Ctrl-C …
event-line = { $seconds } s  { $what }
event-line-reader = { $seconds } s  { $reader }  { $what }
event-reader-attached = reader plugged in
event-reader-gone = reader unplugged
event-card-inserted = card inserted, ATR { $atr }
event-card-removed = card removed
event-card-mute = card inserted that does not answer
event-service-gone = the PC/SC service has ended, and all readers with it
event-service-back = the PC/SC service is back
event-initial-reader-attached = reader
event-initial-card-mute = a card that does not answer
event-initial-service-gone = the PC/SC service is not running; waiting for it …

sim-start = The simulated GP-SE is up ({ $runtime }).
sim-personalizing = Installing and personalising the JPKI applet …
sim-personalized = Personalised in { $ms } ms: PIN { $pin }, password { $password } (token label { $label }).
sim-offering = Offering the card to the virtual reader behind { $address } …
sim-waiting = The card is in the virtual reader behind { $address }. Ctrl-C ends it.
sim-ignored = Another card is in the virtual reader behind { $address }; this one waits until that one is gone. The second reader listens on the next port: see --vpcd.
sim-overlooked = The reader behind { $address } missed that the card before this one left; this one goes out and comes in again …
sim-reader-gone = The virtual reader closed the connection; trying again …
sim-left = The card has left the reader, as --leave-after says.
sim-stopped = Stopped after { $apdus ->
    [one] one APDU
   *[other] { $apdus } APDUs
  }.

usage-invalid-value = { $argument } does not take the value "{ $value }"
usage-missing-value = { $argument } needs a value
usage-unknown-argument = unknown argument { $argument }
usage-unknown-command = unknown command { $argument }
usage-missing-argument = missing: { $argument }
usage-missing-command = a command is missing
usage-conflict = { $argument } cannot be used here
usage-suggested = perhaps: { $values }
usage-valid = possible: { $values }
usage-help = "--help" lists commands and options
cap-built = { $path }: { $bytes } bytes to load, { $applets } applets
cap-applet = applet { $class }: { $aid }
cap-accepted = accepted, { $warnings } warnings
cap-run-memory = packages { $packages } bytes, instance { $instance } bytes, transient { $transient } bytes; grown by { $growth } bytes while the script ran
sim-personalized-before = The JPKI applet is on this card already; it stays as it is.

# jpkise trace decode
decode-clear = in clear
decode-hidden = left out of the recording
decode-malformed = neither a command nor an answer
decode-not-initialized = no session
decode-piece = part of a long command
decode-key-set = key version { $kvn }, i = { $i }, { $mode }
decode-level = level { $level }
decode-card-cryptogram = card cryptogram { $check }
decode-host-cryptogram = host cryptogram { $check }
decode-c-mac = C-MAC { $check }
decode-r-mac = R-MAC { $check }
decode-good = good
decode-bad = BAD
decode-not-verifiable = not verifiable
decode-not-accepted = not accepted by the card
decode-challenge-random = random challenge
decode-challenge-fits = challenge fits counter and AID
decode-challenge-differs = challenge does not fit counter and AID
decode-challenge-not-checked = challenge not checked
decode-closing = { $exchanges } exchanges, { $sessions ->
    [one] one session opened
   *[other] { $sessions } sessions opened
  }; { $bad } do not verify, { $open } could not be verified, { $hidden } left out of the recording
# jpkise cap run --heap
cap-run-heap = objects in memory after: { $after }
cap-run-heap-what = object
cap-run-heap-owner = owner
cap-run-heap-count = count
cap-run-heap-persistent = persistent
cap-run-heap-reset = until reset
cap-run-heap-deselect = until deselected
cap-run-heap-sum = sum
cap-run-heap-runtime = runtime
cap-run-heap-load-file = (load file)
cap-run-heap-static-fields = (static fields)
cap-run-heap-record = (record)
cap-run-heap-free = free: { $persistent } bytes persistent, { $transient } bytes transient
cap-run-heap-unchanged = no object has come or gone since the report before
cap-run-heap-changes = since the report before (objects, bytes persistent / transient):
