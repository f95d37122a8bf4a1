package mirandas;

interface Runner {
    short run(short a);

    void stop();
}
