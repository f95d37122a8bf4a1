# Status words: ISO/IEC 7816-4 and GP Card Specification 2.3.1, in words for people.
sw-6200 = the logical channel was closed already
sw-6283 = selected, but the card is locked
sw-6300 = the card does not accept the host cryptogram: other keys
sw-6310 = more data is available
sw-6381 = stored; a rule with this reference was there already
sw-6382 = stored; an unknown object was dropped
sw-6400 = no specific diagnosis
sw-6581 = the card could not write its memory
sw-6700 = wrong length
sw-6881 = logical channel not supported or not open
sw-6882 = secure messaging not supported here
sw-6884 = command chaining not supported
sw-6981 = command does not fit the object
sw-6982 = security status not satisfied: verify the secret, or open the secure channel, first
sw-6983 = the secret is blocked
sw-6984 = the secret is blocked or cannot be used
sw-6985 = conditions of use not satisfied: the object is not in the state this command needs
sw-6986 = no file is selected
sw-6999 = the application refused to be selected
sw-6a80 = wrong data
sw-6a81 = function not supported, or the card is locked
sw-6a82 = file or application not found
sw-6a84 = not enough memory on the card
sw-6a86 = wrong P1 or P2
sw-6a88 = referenced data not found
sw-6a89 = a conflicting rule is there already
sw-6b00 = offset behind the end of the file
sw-6d00 = instruction not supported by the selected application
sw-6e00 = class not supported by the selected application
sw-6f00 = the applet failed without saying why
sw-9484 = algorithm not supported
sw-9485 = the key check value does not fit the key
sw-63cx = wrong secret; tries left: { $tries }
sw-63c0 = wrong secret, and now it is blocked
sw-unknown = a status word that this command does not define

# What failed (err-) and what to do next (rec-).
err-internal = something inside the program went wrong
rec-internal = Please report this with the lines above and a trace (--trace FILE).
err-io = input or output failed
err-disk-full = the disk is full
err-permission = permission denied
err-file-not-found = file not found
err-file = cannot write { $path }
rec-file = Choose another folder with --out, or free space and check the permissions there.
rec-trace-file = Name another file with --trace, or free space and check the permissions there.
err-file-read = cannot read { $path }
rec-file-read = Check the name and the permissions.
err-trace-write = the trace { $path } could not be written completely
err-trace-line = { $path }: line { $line } is no line of a trace
rec-trace-line = A trace is what --trace FILE wrote: one JSON object a line.
err-consent = consent is missing, nothing was sent to the card
rec-consent = Answer y on a terminal, or give --yes.
err-lab = this uses the public test keys and issues test certificates on a real card; that needs --lab
rec-lab = Only on a card made for tests: run again with --lab. Without a reader the simulated GP-SE is used.
err-usage = wrong usage
err-address = { $address } is no HOST:PORT
rec-address = vpcd listens on localhost:35963 and localhost:35964.
err-no-reader = no such reader: { $name }
err-no-reader-at-all = no reader
err-no-card-anywhere = no card in any reader
rec-readers = "jpkise readers" lists the readers; "jpkise doctor" says what is missing.
err-ambiguous-reader = several readers fit: { $found }
rec-ambiguous-reader = Give the index or more of the name.
err-no-card = no card in { $name }
rec-no-card = Insert the card (or start "jpkise sim") and run again.
err-removed = the card was removed, or the connection to it was lost
rec-removed = Insert it again and run again. Whether the last command was carried out is not known; "jpkise doctor" shows the card's state.
err-reset = another program reset the card
rec-reset = Close the other program and run again.
err-busy = another program holds the card
rec-busy = Close it (browsers and OpenSC tools hold cards) and run again.
err-no-service = the PC/SC service is not running
rec-no-service = Start it: "sudo systemctl start pcscd", or "sudo pcscd" where there is no systemd.
err-process-ended = the process that runs the applets ended
rec-process-ended = Run again. If it ends again, report it with the lines above.
err-java = { $java } cannot be run
rec-java = The simulated card needs a Java runtime, version 17 or later: install one (openjdk-17-jre-headless, or what your distribution has), or name it in JAVA_HOME.
err-runtime-missing = the card runtime is not built
rec-runtime-missing = Build it with: mvn -f applet/pom.xml install && mvn -f jcardsim-tests/pom.xml install -DskipTests (scripts/test does it), name its jar in JPKISE_JCARDSIM, or leave out --runtime jcardsim.
err-vpcd = no virtual reader at { $address }
rec-vpcd = Install vsmartcard-vpcd and start pcscd; the first program that uses PC/SC starts it where systemd listens ("jpkise readers" does).
err-timeout = the card did not answer in time
rec-timeout = Insert the card again (a simulated one is new at every start) and run again.
err-malformed = the card's answer is malformed
rec-malformed = Run again with --trace FILE and look at the last line.
err-pcsc = PC/SC reports an error
rec-pcsc = "jpkise doctor" checks reader, driver and service.
err-select = the card refuses to select { $aid }
err-refused-before-keys = the card refused to begin authentication, before any key was tried
rec-refused-before-keys = No try was lost; other keys will not help. Key version { $kvn } may not exist here, or the keys are blocked: look at "key information" in the identity.
err-cryptogram = the card holds other keys than these (key version { $kvn })
rec-cryptogram = Nothing was sent that the card would count as a failed try. Check the key, its version (--kvn) and the diversification (--kdf) before the next attempt.
err-host-refused = the card refused this host although its own cryptogram fitted
rec-host-refused = The card may have counted this as a failed try: do not repeat it blindly. Try a lower security level.
err-level = the card does not offer security level { $level } (its i is { $i })
rec-level = Issuing needs at least level 13 (C-MAC, C-DECRYPTION, R-MAC).
err-fault = an answer failed its integrity check; the channel is closed
rec-fault = Someone or something between host and card changed it, or the card follows another rule. Run again with --trace FILE.
err-protocol = the card offers SCP{ $scp } only; SCP03 is needed
err-scp = the secure channel failed
err-keys = the keys could not be used
err-refused = { $command }: the card answered { $sw }, { $meaning }
err-no-package = the card does not hold the JPKI package { $aid }
rec-no-package = Loading a CAP comes with a later version: use the simulated GP-SE (leave --reader out), or load the package with another tool.
err-installed = { $aid } is on the card already
rec-installed = The demo starts from a card without it. Delete the instance and the domain first, or take a fresh card ("jpkise sim" is one at every start).
err-wrong-secret = wrong PIN or password; tries left: { $tries }
err-blocked = the PIN or password is blocked
err-check = a check failed: { $check }
err-must-fail = what must fail did not: { $case } (expected { $expected }, the card answered { $sw })
rec-report = Please report this with the trace.
err-answer = the card's answer to { $command } is not what its standard says
err-profile = the card's answer cannot be understood
err-convert = not converted: { $count } findings
rec-convert = Each line above names the class, the place and the rule it breaks.
err-cap = { $path } is no CAP or EXP file that can be read
err-export-path = an export file cannot be used
err-verify = not accepted: { $count } errors
err-own-output = the converter's own output does not verify; nothing was written
err-no-state = a card on jCardSim cannot be kept in a file: its objects live in a JVM, which cannot write them
rec-no-state = Leave out --runtime jcardsim, or --state.
err-state = { $path } gives no card
rec-state = A file that "jpkise sim --state" wrote is needed; without the file a new card is made there.
rec-state-file = Name another file with --state, or free space and check the permissions there.
err-state-write = the card could not be saved in { $path }
err-script = the script's line { $line } is neither hexadecimal nor "reset"
err-which-applet = name the applet with --module
err-cap-run = the applet did not run
err-mute = the applet does not end: a real card would not answer any more
err-vm-fault = the bytecode did what no verified bytecode does
rec-vm-fault = "jpkise cap verify" names the rule it breaks. If it verifies, please report this with the CAP.
err-reader-or-sim = --reader and a simulated card exclude each other
err-test-key = the public test keys are not used on a real card
rec-test-key = Only on a card made for tests: run again with --lab.
err-key-missing = no key was given
err-key-ambiguous = keys were given in more than one way
err-key-file = the key file cannot be used
err-key = the key cannot be used
rec-key = Give --key, or --enc, --mac and --dek, or --key-file, or --key-prompt, or the environment variables JPKISE_KEY…; a card made for tests: --lab.
err-tries = { $failures ->
    [one] one failed authentication
   *[other] { $failures } failed authentications
  } on this card already (limit: { $limit }); nothing was sent
rec-tries = Make sure which keys the card holds before going on: a card locks after a few more. Then raise --max-failures.
err-tries-file = failed authentications cannot be counted on this disk, so none is risked
err-no-home = neither XDG_STATE_HOME nor HOME names a folder to remember failed authentications in
ask-key = Key (hexadecimal):
err-card-profile = the profile gives no card
rec-card-profile = docs/profiles.md explains the keys; host/gpse/profiles holds two examples.
err-build = this cannot be coded into a command
err-key-check = the card computed other check values for key version { $kvn } than these keys have: it holds other keys
rec-key-check = The old keys are still there unless they were replaced in place. Check Key-DEK, delete the new version, and try again.
err-new-keys-unproven = key version { $kvn } is on the card but opens no channel; nothing was deleted
rec-new-keys-unproven = The old keys still open the card. Delete the new version with them, and look at length and type of the new keys.
err-other-card = this is another card: { $expected } was named, { $found } is in the reader; nothing was sent to it
rec-other-card = Insert the card that --card-id names; "jpkise gp info" shows a card's id.
err-not-on-card = { $aid } is not on the card, or this security domain does not see it
rec-not-on-card = "jpkise gp list" shows what is there.
err-issuer-stays = { $aid } is the issuer security domain: no card deletes it
err-still-needed = { $aid } is needed by { $count ->
    [one] { $dependents }
   *[other] { $count } others: { $dependents }
  }; nothing was sent
rec-still-needed = --related deletes these too, with their data.
err-no-domain = { $aid } is no security domain but: { $kind }
err-no-module = { $aid } has no module { $module }, but: { $modules }
err-no-applet = { $aid } has no applet
rec-no-applet = A library is loaded with "jpkise gp load".
err-preflight = { $count ->
    [one] this card does not take it, for one reason
   *[other] this card does not take it, for { $count } reasons
  }; nothing was changed
rec-verify = "jpkise cap verify" shows all findings. --export-path names export files of imported packages; --unverified loads it all the same.
err-partial-list = the card broke off its list: more may be on it than is shown
rec-partial-list = Run again with --trace FILE; "jpkise trace show" shows where it stopped.
err-state-of-other = this state does not belong to what was named
rec-state-of-other = The card: op-ready, initialized, secured, card-locked, terminated. Applications and domains: selectable, personalized, locked, unlocked, or a byte in hexadecimal.
err-kvn-there = key version { $kvn } is on the card already
rec-kvn-there = Choose another --new-kvn; "jpkise gp keys list" shows those in use.
err-kvn-not-there = key version { $kvn } is not on the card
rec-keys-list = "jpkise gp keys list" shows what is there.
err-kvn-in-use = key version { $kvn } is the one this channel uses; deleting it could leave nobody with a key
rec-kvn-in-use = Open the channel with another version (--kvn and its keys), or put a new set first.
err-no-set = the domain has no key set to replace
rec-no-set = "jpkise gp keys put" adds one.
err-which-set = the domain has several key sets: name the one to be replaced with --old
err-new-key-missing = no new key was given
rec-new-key = Give --new-key, or --new-enc, --new-mac and --new-dek, or --new-key-file, or --generate FILE for random keys.
rec-generate = Name a file that does not exist yet, in a folder where you may write.
rec-terminate = Type { $id }, or give --card-id { $id } together with --yes.
rec-extradite = It is installed, but not in that domain yet: jpkise gp domain extradite { $aid } --to { $domain }
err-reset-secured = "reset" ends every secure channel: leave it out, or leave out --secure
err-select-issuer = the card refuses to select its issuer security domain
err-hex-lines = { $path }: line { $line } is neither a trace nor hexadecimal
rec-hex-lines = What --trace FILE wrote is needed, or commands and answers in hexadecimal, a line each and in turn.
err-decode-bad = line { $line } ({ $name }) does not verify
rec-decode-keys = The card cryptogram needs the very keys of this session: check the key and --kdf.
err-decode-open = not everything could be verified
rec-decode-open = The recording has to hold INITIALIZE UPDATE and every secured command behind it.
err-vectors = { $count ->
    [one] one vector fails
   *[other] { $count } vectors fail
  }
err-no-vectors = these files hold no vector
err-vector-file = { $path } is no vector file that can be run
rec-vector-file = The format is "gp-se vectors 1": JSON with "format" and "vectors", each with "id" and "type".
vectors-other-end = { $count ->
    [one] One vector's fault was looked for from this side only.
   *[other] Of { $count } vectors the fault was looked for from this side only.
  }
ask-token-pin = PIN of the token { $token }:
err-pkcs11-module = no PKCS#11 module is named
rec-pkcs11-module = Put ?module-path=/path/to/module.so behind the URI, or set JPKISE_PKCS11_MODULE.
err-pkcs11-pin = the token does not accept the PIN
rec-pkcs11-pin = Name a file with ?pin-source=file:/path, set JPKISE_PKCS11_PIN, or type it on the terminal. Tokens lock after some wrong ones.
err-pkcs11-uri = the PKCS#11 URI cannot be used
rec-pkcs11-uri = pkcs11:token=LABEL;object=NAME?module-path=/path/to/module.so&pin-source=file:/path; masters with --kdf kdf3.
err-pkcs11-token = no token fits
rec-pkcs11-token = Name one of those that are there with token=.
err-pkcs11-key = the token does not have these keys
rec-pkcs11-key = Secret AES keys of one length are needed: NAME-enc, NAME-mac and NAME-dek, or one NAME for all three.
err-pkcs11-device = the PKCS#11 module or its token fails
rec-pkcs11-device = Check the module's path, and that it can do CKM_AES_CMAC and CKM_AES_CBC.
rec-decode-scheme = These keys fit as masters with --kdf { $scheme }.
