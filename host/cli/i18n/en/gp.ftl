# Messages of jpkise gp.
gp-dry-run = Dry run: nothing was sent that changes the card.
gp-test-keys-used = The public test keys are used: a card that anybody can open.
gp-test-keys-open = ! The public test keys open this card: anybody can manage it. "jpkise gp keys replace" changes that.
gp-test-keys-do-not-open = The public test keys do not open this card.
gp-card-is-locked = ! The card is locked (CARD_LOCKED).

# jpkise gp info, status
gp-info-card = Card
gp-info-domain = Security domain { $aid }
gp-info-keys = Keys
gp-info-capabilities = Capabilities
gp-field-atr = ATR
gp-field-cplc = CPLC (not readable)
gp-field-chip = card id
gp-field-ic = IC fabricator, type
gp-field-serial = batch / serial number
gp-field-os = operating system
gp-field-os-date = OS released
gp-field-ic-date = IC made
gp-field-perso-date = personalised
gp-field-iin = issuer (IIN)
gp-field-cin = card image (CIN)
gp-field-memory = free memory
gp-field-applications = applications
gp-field-max-data = longest command data
gp-field-card-data = card data (not readable)
gp-field-gp-version = GlobalPlatform
gp-field-scp = secure channel
gp-field-configuration = configuration
gp-field-chip-data = chip
gp-field-keys = keys (not readable)
gp-field-counter = sequence counter
gp-field-capabilities = not readable
gp-field-domain-privileges = domains may have
gp-field-application-privileges = applications may have
gp-field-hashes = load file hashes
gp-field-session = channel
gp-field-privileges = privileges
gp-field-load-file = load file
gp-field-domain = security domain
gp-field-module = module
gp-field-answer = answer
gp-memory = { $persistent } bytes persistent, { $transient } bytes transient
gp-date = day { $day } of a year ending in { $year }
gp-session = key version { $kvn }, level { $level } (card: i = { $i })
gp-i-pseudo-random = pseudo-random challenge
gp-i-random = random challenge
gp-key-set = {"  "}version { $kvn }: Key-ENC, Key-MAC, Key-DEK, AES-{ $bits } (SCP03)
gp-key = {"  "}version { $kvn }, identifier { $kid }: { $type } bits
gp-no-keys = {"  "}none

# jpkise gp list
gp-entry-issuer-domain = issuer security domain { $aid }  { $state }
gp-entry-domain = security domain { $aid }  { $state }
gp-entry-application = application { $aid }  { $state }
gp-entry-load-file = load file { $aid }{ $version }  { $state }
gp-entry-module = module { $aid }
gp-from-load-file = from load file { $aid }
gp-kind-issuer-domain = issuer security domain
gp-kind-domain = security domain
gp-kind-application = application
gp-kind-load-file = load file
gp-kind-unknown = object
list-separator = {", "}
privilege-security-domain = security domain
privilege-dap-verification = DAP verification
privilege-delegated-management = delegated management
privilege-card-lock = card lock
privilege-card-terminate = card terminate
privilege-card-reset = card reset
privilege-cvm-management = CVM management
privilege-mandated-dap-verification = mandated DAP verification
privilege-trusted-path = trusted path
privilege-authorized-management = authorised management
privilege-token-verification = token verification
privilege-global-delete = global delete
privilege-global-lock = global lock
privilege-global-registry = global registry
privilege-final-application = final application
privilege-global-service = global service
privilege-receipt-generation = receipt generation
privilege-ciphered-load-file-data-block = ciphered load file data block
privilege-contactless-activation = contactless activation
privilege-contactless-self-activation = contactless self-activation

# Plans
gp-plan-load = load { $aid }: { $bytes } bytes
gp-plan-install = install { $aid } from module { $module } of { $load_file }
gp-plan-privileges = {"     "}with privileges: { $privileges }
gp-plan-extradite = hand { $aid } over to { $domain }
gp-plan-delete = delete { $kind } { $aid }
gp-plan-delete-related = delete { $kind } { $aid } with its instances { $instances } and their data
gp-plan-domain = create security domain { $aid } (privileges: { $privileges })
gp-plan-keys-add = add key version { $kvn } (check values { $values })
gp-plan-keys-in-place = replace key version { $old } by version { $kvn } (check values { $values }); the old keys are gone before the new ones are proven
gp-plan-keys-prove = open a channel with key version { $kvn }
gp-plan-keys-delete = delete key version { $kvn }
gp-plan-keys-factory = the factory set FF is superseded: most cards drop it now
gp-plan-card-state = set the card to { $state }
gp-plan-lock = lock { $aid }
gp-plan-lock-all = lock { $aid } with everything in it
gp-plan-unlock = unlock { $aid }
gp-plan-unlock-all = unlock { $aid } with everything in it
gp-plan-state = set { $aid } to state { $state }
gp-plan-store-data = { $blocks ->
    [one] store { $bytes } bytes in one block for { $receiver }
   *[other] store { $bytes } bytes in { $blocks } blocks for { $receiver }
  }
gp-ask-replace = Delete what is there and go on?
gp-ask-delete = { $count ->
    [one] Delete it?
   *[other] Delete these { $count } objects?
  }
gp-ask-keys = Change the keys of this card?
gp-ask-lock-card = Lock the whole card? Only its issuer's keys unlock it.
gp-ask-send = These commands change the card. Send them?
gp-terminate-warning = TERMINATED is final: nothing on this card will ever work again, and nothing undoes it.
gp-ask-terminate = Type the card's id { $id } to terminate it:

# Results
gp-loaded = Loaded { $aid }: { $bytes } bytes in { $blocks } blocks, { $ms } ms.
gp-installed = Installed { $aid }, selectable.
gp-installed-only = Installed { $aid }, not yet selectable.
gp-deleted = { $count ->
    [one] Deleted: { $aids }
   *[other] Deleted { $count } objects: { $aids }
  }
gp-domain-created = Created security domain { $aid }.
gp-domain-next = It has no keys of its own yet: jpkise gp keys put --sd { $aid } --new-kvn 30 --generate FILE
gp-extradited = { $aid } now belongs to { $domain }.
gp-keys-put = Key version { $kvn } is on the card and opens it (check values { $values }).
gp-keys-deleted = Deleted key version { $kvn }.
gp-keys-written = The new keys are in { $path }. Keep that file: without it nobody opens the card.
gp-keys-kept = Whatever became of them, the new keys are in { $path }.
gp-weaker-dek = ! The new keys are longer than the Key-DEK that protected them on their way.
gp-kcv-not-compared = ! The card gave no check values; the channel opened with the new keys is the proof.
gp-card-state = The card is { $state }.
gp-state = { $aid }: { $state }
gp-stored = { $blocks ->
    [one] Stored { $bytes } bytes in one block.
   *[other] Stored { $bytes } bytes in { $blocks } blocks.
  }
gp-unverified = The CAP file is not verified: a card runs it without checking types.
gp-load-remains = The card shows { $aid } although the load was not finished: jpkise gp delete { $aid }
gp-load-left-nothing = The card kept nothing of the load that was broken off.
gp-taken-back = The load file { $aid } was deleted again: the card is as before.
gp-not-taken-back = The load file { $aid } is on the card, without an instance.
gp-privileges-not-offered = The card tells that its domains cannot have: { $privileges }

# Before a load
obstacle-load-file-exists = { $aid } is on the card already: --replace deletes it first; "jpkise gp install --package" makes a further instance
obstacle-instance-exists = { $aid } is in use on the card: choose another --aid, or delete it
obstacle-import-missing = the card has no package { $aid } (version { $wanted } is needed): load it first
obstacle-import-version = the card has package { $aid } in version { $there }, version { $wanted } is needed: build against what the card has
obstacle-import-not-listed = the card does not list package { $aid } (version { $wanted }); many cards do not list their own
obstacle-memory = the code needs { $needed } bytes, { $free } are free: delete what is not needed

# Why a card refuses, and what to do next: host/gp's causes.
causes-heading = likely causes, the likeliest first:
cause-import-missing = The load file imports a package, or a version of one, that the card does not have.
next-import-missing = "jpkise cap info" lists the imports, "jpkise gp list" the packages on the card; build against an older API.
cause-cap-incompatible = The load file's format is newer than the card, or it was built for another platform.
next-cap-incompatible = Build for the Java Card version of the card.
cause-load-file-exists = A load file with this AID is on the card already.
next-load-file-exists = --replace deletes the old one first; "jpkise gp list" shows it.
cause-aid-in-use = Something on the card has this AID already.
next-aid-in-use = "jpkise gp list" shows it; choose another --aid, or delete the old one.
cause-load-file-missing = The load file named is not on the card.
next-load-file-missing = "jpkise gp list" shows the load files; load it first, or correct the AID.
cause-module-missing = The load file has no module with this AID.
next-module-missing = "jpkise gp list" shows the modules of each load file; correct --module.
cause-applet-threw = The applet's install method failed: an algorithm or feature the card lacks, or parameters it refuses.
next-applet-threw = Check the algorithms the applet asks for against the card, and the install parameters.
cause-applet-failed = The applet ended in an exception it did not catch.
next-applet-failed = Look at the command's data and at the applet's requirements on the card.
cause-parameters-refused = The parameters are malformed or not allowed.
next-parameters-refused = Check tags and lengths of the parameters; try without them.
cause-privileges-refused = The privileges are not allowed here, or not together.
next-privileges-refused = Ask for fewer privileges; "jpkise gp info" shows which the card grants.
cause-memory-full = The card has not enough free memory.
next-memory-full = Delete what is not needed; "jpkise gp status" shows the free memory.
cause-memory-fault = The card could not write its memory.
next-memory-fault = Try again; if it stays, the card is worn or broken.
cause-no-management-right = The security domain may not manage content: it lacks authorised management, or a token is missing.
next-no-management-right = Open the channel to the issuer security domain (leave out --sd), or create the domain with authorised management.
cause-not-associated = The object belongs to another security domain.
next-not-associated = "jpkise gp list" shows the domain it belongs to; open the channel there with --sd.
cause-still-referenced = Something still depends on it: instances of the load file, a package that imports it, or content of the domain.
next-still-referenced = Delete what depends on it first; --related does it in one go.
cause-deletion-unsupported = The card does not delete objects of this kind.
next-deletion-unsupported = Nothing can be done on this card; use a new AID.
cause-not-on-card = There is no such object, or the domain addressed does not see it.
next-not-on-card = "jpkise gp list" shows what is there; correct the AID.
cause-card-locked = The card is locked.
next-card-locked = Unlock it with the issuer's keys: "jpkise gp unlock".
cause-card-terminated = The card is terminated; this is final.
next-card-terminated = Take another card.
cause-application-locked = The application or its security domain is locked.
next-application-locked = Unlock it from its security domain: "jpkise gp unlock AID".
cause-not-selectable = The instance exists but is not selectable yet.
next-not-selectable = Make it selectable: "jpkise gp status set AID selectable", or install it again.
cause-applet-refused-select = The applet itself refused to be selected.
next-applet-refused-select = See the applet's conditions, for example the interface it may be used on.
cause-same-state = The object is in this state already, or cannot go there from where it is.
next-same-state = "jpkise gp status" shows the life cycle.
cause-state-forbids = The life cycle of the card, domain or application does not allow this now.
next-state-forbids = "jpkise gp list" shows the life cycles.
cause-no-such-key-set = The domain has no key set of this version, or an incomplete one.
next-no-such-key-set = "jpkise gp keys list" shows the versions that are there; leave out --kvn for the default.
cause-keys-blocked = The card has blocked authentication after failures; other keys do not help.
next-keys-blocked = Stop trying; ask the issuer how this card is unblocked.
cause-counter-exhausted = The key set's sequence counter has reached its end.
next-counter-exhausted = Put new keys, through another key set.
cause-other-scp = The domain does not use SCP03.
next-other-scp = "jpkise gp info" shows the protocol; SCP02 is not supported.
cause-not-a-domain = The selected application is no security domain, or has no secure channel.
next-not-a-domain = Name a security domain with --sd.
cause-host-keys-differ = The card does not accept the host cryptogram although its own fitted.
next-host-keys-differ = Do not repeat: tries are counted. Check that all three keys belong together.
cause-channel-altered = The command's MAC did not arrive as it was sent.
next-channel-altered = Check reader and relay, and open a new channel; --trace FILE and "jpkise trace decode" show where it broke.
cause-level-not-offered = The card does not offer this security level.
next-level-not-offered = Ask for a lower --level; "jpkise gp info" shows what the card offers.
cause-channel-lost = The secure channel is gone: another application was selected, the card was reset, or a MAC was wrong.
next-channel-lost = Open a new channel and repeat the step.
cause-level-too-low = The session's security level is below what this command needs.
next-level-too-low = Open the channel at level 13 or 33: --level 33.
cause-key-data-refused = The key data is refused: wrong type or length, or a version that is not allowed.
next-key-data-refused = "jpkise gp keys list": a replaced set keeps its type and length; a new one is added beside it. Some cards want --bare-blocks.
cause-check-value-differs = The card computed another key check value: it deciphered the key with another Key-DEK.
next-check-value-differs = Check Key-DEK; the old keys are untouched.
cause-no-such-key-version = The version to replace is not there.
next-no-such-key-version = "jpkise gp keys list" shows the versions; "jpkise gp keys put" adds a set.
cause-last-key-set = The key set is in use, or the last one.
next-last-key-set = Open the channel with another set first (--kvn).
cause-target-missing = The application is not on the card, or not in this security domain.
next-target-missing = "jpkise gp list" shows its domain; open the channel there with --sd, or hand it over with "jpkise gp domain extradite".
cause-not-personalizable = The application does not take data through its security domain.
next-not-personalizable = Personalise it in its own secure channel.
cause-data-refused = The receiver refuses the data: an unknown tag, a wrong length, or a value it cannot use.
next-data-refused = Compare the data with the receiver's documentation.
cause-block-order = A block came out of order, or no load or personalisation was open.
next-block-order = Begin again; if it repeats, try smaller blocks (--block 128).
cause-block-too-long = The card or reader does not take a command of this length.
next-block-too-long = Use smaller blocks (--block 128).
cause-hash-differs = Hash, token or signature of the load file does not fit.
next-hash-differs = Leave out --hash, or name the algorithm the card supports.
cause-not-supported = The card does not know this command, or this form of it.
next-not-supported = "jpkise gp info" shows what the card can do.
cause-unknown-data = The card does not have this data object.
next-unknown-data = Nothing is wrong: the object is optional.
cause-no-channel-free = No further logical channel is free, or the card has only one.
next-no-channel-free = Close a channel, or work on the basic one.
cause-platform-fault = The card's platform failed without saying why.
next-platform-fault = Reset the card and try again; record a trace if it repeats.
cause-contactless-forbidden = This is not allowed over the contactless interface.
next-contactless-forbidden = Use the contact interface.
gp-values-later = of this card, by { $scheme }, once it has told its number
