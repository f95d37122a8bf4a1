package com.licel.jcardsim.crypto;

import java.security.SecureRandom;

/**
 * Takes the place of jCardSim's class of this name, whose generator starts from the same state on every card: all cards
 * would make the same RSA key. This one is the JVM's own.
 */
class SecureRandomNullProvider extends SecureRandom {
    private static final long serialVersionUID = 1L;

    SecureRandomNullProvider() {
        super();
    }
}
