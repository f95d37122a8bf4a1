/** The jCardSim runtime process: frames in, applets run, frames out. The host's side is host/gpse. */
package jp.jpkise.sim.host;
