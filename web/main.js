// Begin: the login where nobody is logged in, else the rooms.

import { Home } from "./home.js";
import { showLogin } from "./login.js";
import { Session } from "./session.js";

const place = document.getElementById("app");
const config = { logins: ["dev"], ...JSON.parse(document.querySelector("meta[name=stampchat]").content) };
const session = new Session();
let home = null;

function show(why) {
  home?.close();
  home = null;
  if (session.user) home = new Home(place, session);
  else showLogin(place, session, config, why);
}

/** Where one comes back from Google's page, log in with what it said. */
async function comeBack() {
  if (!config.logins.includes("google") || !location.search) return "";
  const google = await import("./google.js");
  if (!google.isBack()) return "";
  try {
    await session.login("google", await google.finish(config.firebase));
    return "";
  } catch (failure) {
    return failure.message;
  }
}

const why = await comeBack();
session.on("changed", show);
show(why);
session.renewIfOld();
