/** Every module that require() finds on a Pico W: what Kaluma 1.2.1 is built of, and what its command line tool names beside it. */
export const KALUMA_MODULES = [
  'events', 'gpio', 'led', 'button', 'pwm', 'adc', 'i2c', 'spi', 'uart', 'graphics', 'at', 'storage', 'wifi', 'stream', 'net', 'dgram', 'http',
  'url', 'rp2', 'rtc', 'path', 'flash', 'fs', 'vfs_lfs', 'vfs_fat', 'sdcard', 'wdt', 'startup', 'pico_cyw43',
];
